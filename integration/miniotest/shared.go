package miniotest

import "sync"

// shared is the server of this process. It is the one variable of the package: Start must find, without
// being handed it, what an earlier test started.
var shared sharedServer

// A sharedServer starts with its first user and stops with its last.
type sharedServer struct {
	mu     sync.Mutex
	users  int
	server *Server
	stop   func()
	err    error // of the first attempt, which is not repeated: it may have taken minutes
}

func (s *sharedServer) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

func (s *sharedServer) acquire() (*Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil && s.err == nil {
		s.server, s.stop, s.err = start()
	}
	if s.err != nil {
		return nil, s.err
	}
	s.users++
	return s.server, nil
}

func (s *sharedServer) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if s.users == 0 && s.server != nil {
		s.stop()
		s.server, s.stop = nil, nil
	}
}
