// Command probe stands in for curl in an image that holds nothing but the server: it fetches the
// last argument with GET and exits 0 when the answer is 200, else 22, as `curl -fsS URL` does. Flags are
// accepted and ignored.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(22)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, resp.Status)
		os.Exit(22)
	}
}
