package localstore

import (
	"slices"

	"lifeboat/manifest"
)

// forgone is what was removed on purpose from remotes and is still here, by the URL of the remote, so that it is not sent again.
var forgone = notebook[[]manifest.ID]{"forgone.json", "what was removed from remotes"}

// Forgone returns the snapshots that were removed from the remote at url.
func (s *Store) Forgone(url string) (map[manifest.ID]bool, error) {
	all, err := forgone.read(s)
	set := map[manifest.ID]bool{}
	for _, id := range all[url] {
		set[id] = true
	}
	return set, err
}

// Forgo notes that snapshots were removed from the remote at url, beside those that were noted before and that here still reports. The caller holds the
// lock of the store.
func (s *Store) Forgo(url string, here func(manifest.ID) bool, ids ...manifest.ID) error {
	s.noting.Lock()
	defer s.noting.Unlock()
	all, err := forgone.read(s)
	if err != nil {
		return err
	}
	list := append(slices.Clone(all[url]), ids...)
	list = slices.DeleteFunc(list, func(id manifest.ID) bool { return !here(id) })
	return s.setForgone(all, url, list)
}

// Recall forgets that a snapshot was removed from the remote at url: it is to be there again.
func (s *Store) Recall(url string, id manifest.ID) error {
	s.noting.Lock()
	defer s.noting.Unlock()
	all, err := forgone.read(s)
	if err != nil {
		return err
	}
	return s.setForgone(all, url, slices.DeleteFunc(slices.Clone(all[url]), func(other manifest.ID) bool { return other == id }))
}

func (s *Store) setForgone(all map[string][]manifest.ID, url string, list []manifest.ID) error {
	slices.SortFunc(list, manifest.ID.Compare)
	list = slices.Compact(list)
	if slices.Equal(list, all[url]) {
		return nil
	}
	if all[url] = list; len(list) == 0 {
		delete(all, url)
	}
	return forgone.write(s, all)
}
