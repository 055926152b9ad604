// Package miniotest gives tests a real S3 server to talk to: MinIO, on the loopback interface.
//
// [Start] finds or starts the server, [Server.Bucket] makes a bucket for one test, and [Server.Proxy] puts
// something in front of it that records requests and makes them fail. The server is, in this order:
//
//  1. the one at LIFEBOAT_TEST_S3_ENDPOINT, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY;
//  2. the container of docker-compose.test.yml, when a Docker engine answers and has the image or can pull
//     it. LIFEBOAT_TEST_S3_IMAGE names another image, which then must be there;
//  3. the server that integration/minioserver pins, built once into the user's cache directory (about three
//     minutes on two cores) and started as a process.
//
// Which one it was is in the test's log. With -short, Start skips the test and says what was not checked.
//
// The server lives as long as a test uses it. A package with several such tests keeps one server for all by
//
//	func TestMain(m *testing.M) { os.Exit(miniotest.Main{M: m}.Run()) }
//
// On Linux it also ends when the test process is killed.
package miniotest

import (
	"context"
	"os"
	"testing"
	"time"
)

// A Server is an S3 server that answers.
type Server struct {
	Endpoint  string // URL without a path
	AccessKey string
	SecretKey string
	Region    string
	Origin    string // where it came from, for messages
}

// Start returns the server that the tests of this process share, and starts it if there is none. It fails
// the test when none can be had, and skips it under -short.
func Start(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT CHECKED, because of -short: what " + t.Name() + " proves against a real S3 server")
	}
	s, err := shared.acquire()
	if err != nil {
		t.Fatalf("start an S3 server for the tests: %v", err)
	}
	t.Cleanup(shared.release)
	t.Logf("S3 server: %s, %s", s.Endpoint, s.Origin)
	return s
}

// Main runs the tests of a package and keeps the server that the first of them starts until the last has
// ended. M is a *testing.M.
type Main struct{ M interface{ Run() int } }

// Run returns the exit code of the tests. It does not start a server by itself.
func (m Main) Run() int {
	shared.keep()
	defer shared.release()
	return m.M.Run()
}

// Env returns the environment in which a program talks to this server and sees no other AWS settings of
// the user. Append it to os.Environ.
func (s *Server) Env() []string {
	env := []string{
		"AWS_ENDPOINT_URL_S3=" + s.Endpoint,
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
		"AWS_REGION=" + s.Region,
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"} {
		env = append(env, name+"=")
	}
	return env
}

// startTimeout bounds the start of a server, a build included.
const startTimeout = 20 * time.Minute

// start finds a server. The function it returns ends what was started.
func start() (*Server, func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if os.Getenv("LIFEBOAT_TEST_S3_ENDPOINT") != "" {
		s, err := fromEnvironment(ctx)
		return s, func() {}, err
	}
	root, err := repository()
	if err != nil {
		return nil, nil, err
	}
	s, stop, why := fromContainer(ctx, root)
	if s != nil {
		return s, stop, nil
	}
	if image := os.Getenv("LIFEBOAT_TEST_S3_IMAGE"); image != "" {
		return nil, nil, &imageError{image, why}
	}
	say("no container (%s); using the server module", why)
	return fromModule(ctx)
}
