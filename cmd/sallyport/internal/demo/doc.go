// Package demo is a small site as a mature one would be: it has users, a login, sessions in its own database and pages
// of its own, and knew nothing of second factors before. The guard is put around it in site.go; all else is the site's.
//
// It is made to be tried out: passwords are public, and everybody may read everybody's mail on /outbox.
package demo
