// Command bench measures Sallyport beside something that everybody knows, and prints a table of ratios.
//
//	go run ./bench          # from the root of the repository
//	go run ./bench -short   # few rounds: shows that it works
//
// Times of one machine say little about another, and machines are noisy. So both sides of each row are measured in
// turns, round by round, in one process, and what is printed are medians over the rounds: of the times, and of the
// ratio within each round. A row is worth quoting when it says the same twice.
package main
