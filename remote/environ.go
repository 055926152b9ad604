package remote

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// environ looks up environment variables.
type environ func(name string) string

// maxSecret bounds a file that holds one secret.
const maxSecret = 64 << 10

// get returns a variable without white space at its ends.
func (e environ) get(name string) string { return strings.TrimSpace(e(name)) }

// secret returns a variable, or the content of the file that name_FILE names.
func (e environ) secret(name string) (string, error) {
	value, file := e.get(name), e.get(name+"_FILE")
	if value != "" && file != "" {
		return "", fmt.Errorf("%s and %s_FILE are both set: unset one", name, name)
	}
	if file == "" {
		return value, nil
	}
	return readSecret(name+"_FILE", file)
}

// readSecret returns the content of a file without white space at its ends. Its errors show where the
// name of the file came from, and nothing of its content.
func readSecret(setting, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s: read %s: %v", setting, file, cause(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("%s: read %s: %v", setting, file, cause(err))
	}
	value := strings.TrimSpace(string(data))
	if value == "" || len(data) > maxSecret || strings.ContainsAny(value, "\r\n") {
		return "", fmt.Errorf("%s: %s does not hold one secret and nothing else", setting, file)
	}
	return value, nil
}
