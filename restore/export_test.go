package restore

// WithMemory returns options of a restore that plans no more at once than takes so many bytes.
func WithMemory(opts Options, bytes int64) Options {
	opts.memory = bytes
	return opts
}
