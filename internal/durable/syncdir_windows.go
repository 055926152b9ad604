package durable

// SyncDir does nothing: Windows has no fsync of directories, and NTFS journals its names.
func SyncDir(string) error { return nil }
