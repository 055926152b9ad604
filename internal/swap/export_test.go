package swap

// SetStep has fn called before each step that changes the disk. What fn returns is how the step fails, without effect.
func (s *Swap) SetStep(fn func(name string) error) { s.step = fn }

// BeginStepping is Begin with such a function.
func BeginStepping(dir string, info Info, parents []string, fn func(string) error) (*Swap, error) {
	return begin(dir, info, parents, fn)
}

// Identify returns the identity of what is at path.
func Identify(path string) (Identity, error) { return identify(path) }
