package sqlitedb_test

import (
	"path/filepath"
	"sync"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// A program may pin what it writes itself: the locks of one process keep each other out too.
func TestPinInTheWritersProcess(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.db")
			db, err := sqlitedb.OpenApp(path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			for _, s := range bank(mode) {
				if _, err := db.Exec(s); err != nil {
					t.Fatal(err)
				}
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						if err := transfer(db); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
			defer wg.Wait()
			defer close(stop)
			for range 5 {
				img := capture(t, path)
				sound(t, img)
				equal(t, inspect(t, img, "SELECT sum(balance) FROM account"), "200000")
			}
		})
	}
}
