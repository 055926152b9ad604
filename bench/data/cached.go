package data

import (
	"fmt"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
)

// bigMiB is the size of the one database of big.
const bigMiB = 1900

// Cached returns the directory with app1g, small50k or big (1.9 GiB) below cache, and makes it, in up to a minute, unless an earlier call has. Without
// a cache it is in the user's cache directory.
func Cached(what, cache string) (string, error) {
	makers := map[string]func(string) error{"app1g": App, "small50k": Small, "big": func(dir string) error { return Big(dir, bigMiB) }}
	if makers[what] == nil {
		return "", fmt.Errorf("there is no data %q; there is app1g, small50k and big", what)
	}
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "lifeboat-bench")
	}
	dir := filepath.Join(cache, what)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cache, what+"-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := makers[what](tmp); err != nil {
		return "", err
	}
	return dir, durable.Rename(tmp, dir)
}
