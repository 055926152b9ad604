// Command gen makes the data that lifeboat is measured on, the same at every run.
//
//	go run ./bench/gen app1g DIR              a chat application's state, about 930 MiB
//	go run ./bench/gen small50k DIR           50,000 JSON files, about 300 MiB
//	go run ./bench/gen big DIR MIB            one database of about MIB MiB
//	go run ./bench/gen files DIR N            N files, 500 to a directory, one in a hundred of them not empty
//	go run ./bench/gen bulk DIR MIB           the same of few and large rows, made in a fraction of the time
//	go run ./bench/gen mutate-scatter DB      change 1 % of its rows at random places, append 1 %
//	go run ./bench/gen mutate-recent DB       change half of the newest 2 %, append 1 %
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"lifeboat/bench/data"
)

const usage = "usage: gen app1g DIR | small50k DIR | big DIR MIB | bulk DIR MIB | files DIR N | mutate-scatter DB | mutate-recent DB"

func main() {
	began := time.Now()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s in %.1f s\n", strings.Join(os.Args[1:], " "), time.Since(began).Seconds())
}

func run(args []string) error {
	if len(args) == 3 && (args[0] == "big" || args[0] == "bulk") {
		mib, err := strconv.Atoi(args[2])
		if err != nil || mib < 1 {
			return fmt.Errorf("%q is no number of MiB\n%s", args[2], usage)
		}
		if args[0] == "bulk" {
			return data.Bulk(args[1], int64(mib)<<20, data.Mix{Noise: 5, Text: 15})
		}
		return data.Big(args[1], mib)
	}
	if len(args) == 3 && args[0] == "files" {
		n, err := strconv.Atoi(args[2])
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of files\n%s", args[2], usage)
		}
		return data.Many(args[1], n)
	}
	if len(args) != 2 {
		return fmt.Errorf("%s", usage)
	}
	switch args[0] {
	case "app1g":
		return data.App(args[1])
	case "small50k":
		return data.Small(args[1])
	case "mutate-scatter":
		return data.Mutate(args[1], data.Scatter)
	case "mutate-recent":
		return data.Mutate(args[1], data.Recent)
	}
	return fmt.Errorf("%s", usage)
}
