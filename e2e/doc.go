// Package e2e holds the tests that use Sallyport as people do: the built command, in Chromium, by mouse, by keyboard,
// with and without JavaScript. Every page that a test meets must be free of console errors, page errors and reports of
// the browser about the content security policy.
//
// Needed are Chromium (Debian: apt-get install chromium) and what ./setup installs. Where they are missing the tests
// are skipped and say so, or fail if CI or SALLYPORT_TEST_REQUIRE is set.
//
//	go test ./...                          all of it
//	go test -run TestScreenshots -update   draw docs/screenshots anew
package e2e
