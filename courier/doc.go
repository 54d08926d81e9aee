// Package courier carries messages to people: codes and notices by e-mail, SMS and voice, to a webhook, to the terminal
// of a developer, or through a function of the site. Each courier is an mfa.Courier:
//
//	mail, err := courier.NewSMTP(courier.SMTPConfig{
//		Host: "smtp.example.com", Username: "site", Password: password, From: "Example <no-reply@example.com>",
//	})
//	…
//	sent := mfa.SentCodes{Couriers: []mfa.Courier{mail, sms}}
//
// A message comes finished, in the language of its user: a courier only delivers it. It delivers what has one
// Message.ID once, as far as its server knows such a key, tries again what failed for a passing reason, and returns
// when it is delivered or given up, at the latest when its context ends. Its errors are for operators and hold no code.
//
// Strength: what is sent proves that somebody reads a mailbox or a phone. That is mfa.Sent, the weakest there is.
package courier
