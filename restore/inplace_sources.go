package restore

import (
	"slices"

	"lifeboat/manifest"
)

// occupied returns the targets at which there is something to lose.
func (r *inPlace) occupied() (list []string) {
	for _, un := range r.units.list {
		if un.exists && !un.empty {
			list = append(list, un.target)
		}
	}
	for _, m := range r.gone {
		list = append(list, m.Target)
	}
	return list
}

// nothing is the result where all that is selected are directories that stay where they are and are empty in the snapshot.
func (r *inPlace) nothing() (*InPlaceResult, error) {
	r.res = &InPlaceResult{Result: r.total()}
	r.res.Sources = r.everySource(r.res.Sources)
	return r.res, r.countBesides()
}

// total is the result of a restore before anything was laid down.
func (r *inPlace) total() *Result {
	return &Result{Stamp: r.snap.ID.Stamp, Sources: []Source{}, Databases: []Database{}, IntegrityOK: true, OwnersKept: true}
}

// everySource adds the sources of which nothing changes places.
func (r *inPlace) everySource(sources []Source) []Source {
	for name, path := range r.units.targets {
		if !slices.ContainsFunc(sources, func(s Source) bool { return s.Name == name }) {
			sources = append(sources, Source{Name: name, Path: path})
		}
	}
	slices.SortFunc(sources, func(a, b Source) int { return manifest.ComparePaths(a.Name, b.Name) })
	return sources
}

// current returns the sources that have something to lose.
func (r *inPlace) current() (list []Current) {
	add := func(name string) {
		if !slices.ContainsFunc(list, func(c Current) bool { return c.Name == name }) {
			list = append(list, Current{name, r.units.targets[name]})
		}
	}
	for _, un := range r.units.list {
		if un.exists && !un.empty {
			add(un.source)
		}
	}
	for _, m := range r.gone {
		add(m.Source)
	}
	return list
}
