package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"lifeboat/bench/data"
)

// A workload is a program's state and what becomes of it from one snapshot to the next.
type workload struct {
	name   string
	perDay int // snapshots
	make   func(dir string, size int64) error
	change func(dir string, step int) error
}

func workloads() []workload {
	database := func(c data.Change) workload {
		return workload{perDay: 1, make: makeDatabase, change: func(dir string, step int) error { return changeDatabase(dir, c, step) }}
	}
	named := func(name string, w workload) workload {
		w.name = name
		return w
	}
	scattered := data.Change{Rows: 100}
	thin := data.Change{Rows: 100 * fiveMinutes}
	list := []workload{
		named("1 % of the rows, anywhere", database(scattered)),
		named("1 % of the rows among the newest 2 %, and 0.5 % more", database(data.Change{Where: data.Recent, Rows: 100, Append: 200})),
		named("0.5 % more rows", database(data.Change{Append: 200})),
		{"vector store, a segment of 12 rewritten", 1, makeVectors, changeVectors},
		{"small files, 1 % rewritten, 1 % replaced", 1, makeFiles, changeFiles},
		{"a half of the first, a quarter of each of the last two", 1, makeMixed, changeMixed},
		named("every five minutes: 1 % of the rows a day, anywhere", database(thin)),
		named("every five minutes: 1 % of the rows a day among the newest 2 %", database(data.Change{Where: data.Recent, Rows: 100 * fiveMinutes})),
	}
	for i := range list[6:] {
		list[6+i].perDay = fiveMinutes
	}
	return list
}

// fiveMinutes is how many of them a day has.
const fiveMinutes = 24 * 60 / 5

func makeDatabase(dir string, size int64) error {
	return data.Big(filepath.Join(dir, "db"), int(size>>20))
}

func changeDatabase(dir string, c data.Change, step int) error {
	c.Seed = step
	return c.Apply(filepath.Join(dir, "db", "big.sqlite"))
}

const (
	segments    = 12
	vectorBytes = 1700
)

func segment(dir string, i int) string {
	return filepath.Join(dir, "vectors", fmt.Sprintf("segment-%02d", i))
}

func makeVectors(dir string, size int64) error {
	if err := os.Mkdir(filepath.Join(dir, "vectors"), 0o755); err != nil {
		return err
	}
	for i := range segments {
		if err := data.Index(segment(dir, i), int(size)/segments/vectorBytes, uint64(i)); err != nil {
			return err
		}
	}
	return nil
}

// changeVectors writes one segment anew, under the same name, and a few vectors of another in place.
func changeVectors(dir string, step int) error {
	rnd := rand.New(rand.NewPCG(uint64(step), 1))
	file := filepath.Join(segment(dir, rnd.IntN(segments)), "data_level0.bin")
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if err := overwrite(file, rnd, 1+int(info.Size()/vectorBytes/200)); err != nil {
		return err
	}
	old := segment(dir, step%segments)
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	return data.Index(old, int(info.Size())/vectorBytes, uint64(segments+step))
}

// overwrite puts other vectors in the place of n in a file.
func overwrite(path string, rnd *rand.Rand, n int) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for range n {
		var b []byte
		for range 384 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(rnd.NormFloat64()/20)))
		}
		if _, err := f.WriteAt(b, rnd.Int64N(info.Size()-int64(len(b)))); err != nil {
			return err
		}
	}
	return f.Close()
}

const fileBytes = 6 << 10 // on average

func smallFile(dir string, i int) string {
	return filepath.Join(dir, "files", fmt.Sprintf("%02x", i%64), fmt.Sprintf("record_%06d.json", i))
}

func makeFiles(dir string, size int64) error {
	r := data.NewRecorder(0)
	for i := range int(size / fileBytes) {
		path := smallFile(dir, i)
		if i < 64 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		if err := r.Write(path); err != nil {
			return err
		}
	}
	return nil
}

// changeFiles writes one file in a hundred anew, and removes as many, in whose place others come.
func changeFiles(dir string, step int) error {
	paths, err := filepath.Glob(filepath.Join(dir, "files", "*", "*.json"))
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(uint64(step), 2))
	rnd.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	n := len(paths) / 100
	r := data.NewRecorder(uint64(1 + step))
	for i, path := range paths[:2*n] {
		if i >= n {
			if err := os.Remove(path); err != nil {
				return err
			}
			path = smallFile(dir, 1_000_000+1000*step+i)
		}
		if err := r.Write(path); err != nil {
			return err
		}
	}
	return nil
}

func makeMixed(dir string, size int64) error {
	if err := makeDatabase(dir, size/2); err != nil {
		return err
	}
	if err := makeVectors(dir, size/4); err != nil {
		return err
	}
	return makeFiles(dir, size/4)
}

func changeMixed(dir string, step int) error {
	if err := changeDatabase(dir, data.Change{Rows: 100}, step); err != nil {
		return err
	}
	if err := changeVectors(dir, step); err != nil {
		return err
	}
	return changeFiles(dir, step)
}
