package replica

// OwnUnit is the system's service that this process is in, as [Process].Unit.
func OwnUnit() string {
	self, err := openEntry(procDefault + "/self")
	if err != nil {
		return ""
	}
	defer self.close()
	return self.unit()
}

// unit is the service of the process, "" if it is in none or that cannot be seen.
func (e *entry) unit() string {
	cgroups, err := e.text("cgroup")
	if err != nil {
		return ""
	}
	return unitOf(cgroups)
}
