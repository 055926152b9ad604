package main

import "lifeboat/remote"

// remember has what is learned of a remote's server kept in the local store, and used again.
func (s *session) remember(w *writable, name string, cfg *remote.Config) {
	cfg.Recall = func(url string) remote.Refusals {
		if w.local == nil {
			return remote.Refusals{}
		}
		r, err := w.local.Refusals(url, s.now())
		if err != nil {
			return remote.Refusals{} // Known says it
		}
		s.tellRefusals(name, r)
		return r
	}
	cfg.Learned = func(url string, r remote.Refusals) {
		s.tellRefusals(name, r)
		if err := w.local.RememberRefusals(url, r, s.now()); err != nil {
			s.warn("what %s refuses is not remembered: %s", name, explain(err))
		}
	}
}

func (s *session) tellRefusals(name string, r remote.Refusals) {
	if r.Condition {
		s.detail("%s refuses If-None-Match: looking first whether a name is taken", name)
	}
	if r.Checksum {
		s.detail("%s refuses x-amz-checksum-sha256: sending Content-MD5 instead", name)
	}
}
