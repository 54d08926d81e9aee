// Command faults takes security checks out of the code, one at a time, and demands that a test notices.
//
//	go run ./internal/faults [-run REGEXP] [-part K/N] [-parallel N] [-timeout DURATION] [-dir DIR]
//	go run ./internal/faults -write
//
// A fault is a file faults/NAME.fault:
//
//	file: mfa/ticket.go
//	test: ./mfa -run ^Test_T_REPLAY_1
//	why: a ticket is good for one answer
//	--- old
//		if answered {
//	--- new
//		if false {
//	--- end
//
// The old text must stand in the file exactly once; it may cover part of a line at its start and its end, and a fault
// may hold several such blocks. Nothing on disk is changed: the faulty text reaches the compiler through
// go test -overlay. Paths and packages are relative to the root of the repository.
//
// A fault is killed if a test that passes without it fails with it. Code that does not compile, a pattern that matches
// no test, a test that is skipped, a crash outside a test and a time-out are no kills: each of them fails the run, and
// so does a fault that survives.
//
// With -write the command runs nothing and brings the list of faults in docs/security.md up to date.
package main
