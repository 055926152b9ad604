// Command serverpath prints the path of the pinned MinIO server's program, which it builds first if the
// user's cache directory does not have it. Tests start that program when they find no other server.
package main

import (
	"context"
	"fmt"
	"os"

	"lifeboat/integration/miniotest"
)

func main() {
	path, err := miniotest.Program(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}
