package vfs

// MayPass is for the tests of this package.
func (u User) MayPass(dir Guarded) error { return u.mayPass(dir) }
