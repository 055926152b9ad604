// Package importrules holds lifeboat's packages to the direction in which they may know each other:
//
//	main -> verbs -> archive, layout, localstore, remote -> manifest
//
// and every outside power to the one package that wields it: the database driver, the S3 client, the
// compressor, fsync and rename, the terminal. It has no code but a test, whose tables of rules give a reason
// for each; the test fails with that reason. Test files are not held to the rules: they may look anywhere.
package importrules
