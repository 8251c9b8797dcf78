// Package text makes texts of others safe to show. AWS, and whoever chose a name there, decide what is in an error
// message, a tag or a user agent; conditions, events and log lines carry it to terminals and web pages.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns a text of one line without anything that a terminal or a browser would act on: each space, line
// break included, becomes an ordinary one, and everything else that is not printable is escaped, so that one can see
// that it was there. Bytes that are not UTF-8 become U+FFFD. A text that is printable already is returned as it is.
func Printable(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, unprintable) < 0 {
		return text
	}

	var printable strings.Builder
	printable.Grow(len(text))
	for _, r := range text {
		switch {
		case !unprintable(r):
			printable.WriteRune(r)
		case unicode.IsSpace(r):
			printable.WriteByte(' ')
		default:
			printable.WriteString(escaped(r))
		}
	}
	return printable.String()
}

// Escape returns a text on one line, with all that is not printable as Go and YAML escape it in double quotes, such as
// \n, \x1b or \u2028, so that nothing is lost. The backslash stays as it is: to read the text back, quote it with %q
// first.
func Escape(text string) string {
	var escapes strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&escapes, `\x%02x`, text[0])
		case !unprintable(r):
			escapes.WriteRune(r)
		default:
			escapes.WriteString(escaped(r))
		}
		text = text[size:]
	}
	return escapes.String()
}

// escaped returns a character as Go writes it in a literal, such as \x1b or \u202e.
func escaped(r rune) string {
	quoted := strconv.QuoteRuneToASCII(r)
	return quoted[1 : len(quoted)-1]
}

// unprintable tells whether a character is neither letter, mark, number, punctuation or symbol nor the ASCII space. It
// is a control, a mark of direction, or something else that nobody sees.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// ellipsis ends a text that was cut.
const ellipsis = "…"

// Cut returns a text of at most limit bytes, which ends in an ellipsis when something is missing. No character is cut
// in two. The limit has room for the ellipsis, which takes three bytes.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}
