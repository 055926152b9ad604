package localstore

import (
	"encoding/json"
	"time"

	"lifeboat/manifest"
	"lifeboat/remote"
)

// known is what is remembered of the remotes that a store was pushed to, by URL.
var known = notebook[knownRemote]{"known.json", "what is known of remotes"}

// refusalLasts is how long a header that a server refused is not tried again. Servers are upgraded; to ask costs a refused
// upload.
const refusalLasts = 30 * 24 * time.Hour

// A knownRemote is what is remembered of one remote.
type knownRemote struct {
	ID      string  `json:"id,omitempty"` // in its marker
	Refuses refuses `json:"refuses,omitzero"`
	Contact Contact `json:"contact,omitzero"`
	Drill   string  `json:"drill,omitempty"` // name of the evidence of the last drill of it
}

// Contact is how it went with a remote, backup by backup.
type Contact struct {
	Reached  time.Time      `json:"reached,omitzero"`      // when it last got all that it lacked
	Away     time.Time      `json:"away_since,omitzero"`   // since when it gets nothing; zero if it does
	Complete manifest.Stamp `json:"complete_to,omitempty"` // the newest snapshot that it had at Reached
}

// refuses says when headers were refused last.
type refuses struct {
	Condition time.Time `json:"if_none_match,omitzero"`
	Checksum  time.Time `json:"checksum_sha256,omitzero"`
}

// UnmarshalJSON reads the form of version 0.1 too, which is the ID alone.
func (k *knownRemote) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &k.ID) == nil {
		return nil
	}
	type plain knownRemote
	return json.Unmarshal(data, (*plain)(k))
}

// Known returns the ID in the marker of the remote at url when it was last used, or "". A remote whose
// marker is now missing, or another, is most likely not the one that is meant: not mounted, or a mistyped prefix.
func (s *Store) Known(url string) (string, error) {
	remotes, err := known.read(s)
	return remotes[url].ID, err
}

// Remember notes the ID in the marker of the remote at url. What was known of another store there is forgotten. The caller holds the
// lock of the store.
func (s *Store) Remember(url, id string) error {
	return s.note(url, func(k knownRemote) knownRemote {
		if k.ID != "" && k.ID != id {
			k.Refuses, k.Contact, k.Drill = refuses{}, Contact{}, ""
		}
		k.ID = id
		return k
	})
}

// Contact returns how it went with the remote at url.
func (s *Store) Contact(url string) (Contact, error) {
	remotes, err := known.read(s)
	return remotes[url].Contact, err
}

// Delivered notes that the remote at url has all that it is to have, of which newest is the newest; "" if that is nothing. The caller holds the lock of the store.
func (s *Store) Delivered(url string, newest manifest.Stamp, now time.Time) error {
	return s.note(url, func(k knownRemote) knownRemote {
		k.Contact = Contact{Reached: now.UTC().Truncate(time.Second), Complete: newest}
		return k
	})
}

// Missed notes that the remote at url was not reached, or did not get all that it lacks. The caller holds the lock of the store.
func (s *Store) Missed(url string, now time.Time) error {
	return s.note(url, func(k knownRemote) knownRemote {
		if k.Contact.Away.IsZero() {
			k.Contact.Away = now.UTC().Truncate(time.Second)
		}
		return k
	})
}

// LastDrill returns the name of the evidence of the last drill that was made from here of the remote at url, or "".
func (s *Store) LastDrill(url string) (string, error) {
	remotes, err := known.read(s)
	return remotes[url].Drill, err
}

// RememberDrill notes the evidence of a drill of the remote at url: that the newest is taken away shows nowhere else. The caller holds the lock of
// the store.
func (s *Store) RememberDrill(url, name string) error {
	return s.note(url, func(k knownRemote) knownRemote {
		k.Drill = name
		return k
	})
}

// Refusals returns what the server of the remote at url refused in the thirty days before now.
func (s *Store) Refusals(url string, now time.Time) (remote.Refusals, error) {
	remotes, err := known.read(s)
	r := remotes[url].Refuses
	return remote.Refusals{Condition: recent(r.Condition, now), Checksum: recent(r.Checksum, now)}, err
}

// recent reports that a refusal still counts. One of the future was noted by a clock that was wrong.
func recent(at, now time.Time) bool {
	return !at.IsZero() && !at.After(now) && now.Sub(at) < refusalLasts
}

// RememberRefusals notes what the server of the remote at url was found to refuse, beside what is known already. The caller holds the lock of the store.
func (s *Store) RememberRefusals(url string, r remote.Refusals, now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	at := func(refused bool, before time.Time) time.Time {
		if refused {
			return now
		}
		return before
	}
	return s.note(url, func(k knownRemote) knownRemote {
		k.Refuses = refuses{at(r.Condition, k.Refuses.Condition), at(r.Checksum, k.Refuses.Checksum)}
		return k
	})
}

// note changes what is known of one remote. Several goroutines may do so at once.
func (s *Store) note(url string, change func(knownRemote) knownRemote) error {
	s.noting.Lock()
	defer s.noting.Unlock()
	remotes, err := known.read(s)
	if err != nil {
		return err
	}
	before := remotes[url]
	remotes[url] = change(before)
	if remotes[url] == before {
		return nil
	}
	return known.write(s, remotes)
}
