package sampleapp

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// words are what messages are made of: real ones, so that text is as repetitive as text is.
var words = strings.Fields(`the of to and a in is it you that he was for on are with as his they be at one have
this from or had by hot but some what there we can out other were all your when up use word how said an each she
which do their time if will way about many then them would write like so these her long make thing see him two has
look more day could go come did my sound no most number who over know water than call first people may down side
been now find any new work part take get place made live where after back little only round man year came show
every good me give our under name very through just form much great think say help low line before turn cause same
mean differ move right boy old too does tell sentence set three want air well also play small end put home read
hand port large spell add even land here must big high such follow act why ask men change went light kind off need
house picture try us again animal point mother world near build self earth father head stand own page should
country found answer school grow study still learn plant cover food sun four thought let keep eye never last door
between city tree cross since hard start might story saw far sea draw left late run while press close night real
life few stop`)

// newText returns a message of 10 to 60 words.
func newText(random *rand.Rand) string {
	picked := make([]string, 10+random.IntN(51))
	for i := range picked {
		picked[i] = words[random.IntN(len(words))]
	}
	return strings.Join(picked, " ")
}

// newOwners returns the name of each account's owner.
func newOwners(random *rand.Rand) []string {
	owners := make([]string, Accounts)
	for i := range owners {
		owners[i] = fmt.Sprintf("%s %s %d", words[random.IntN(len(words))], words[random.IntN(len(words))], i+1)
	}
	return owners
}
