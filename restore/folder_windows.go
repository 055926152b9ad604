package restore

import "os"

// A folder is a directory that many files are made in.
type folder struct{ root *os.Root }

func openFolder(root *os.Root) (*folder, error) { return &folder{root}, nil }

func (d *folder) close() {}

// lay makes a new file with this content, and has finish set its metadata.
func (d *folder) lay(name string, data []byte, finish func(spot) error) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return finish(named{d.root, name})
}
