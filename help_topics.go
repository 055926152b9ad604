package main

// A topic is explained by lifeboat help, and belongs to no one command.
type topic struct{ name, about, text string }

var topics = []topic{
	{"exit-codes", "what the exit code of a command means", exitCodesHelp},
	{"environment", "the variables that are read", environmentHelp},
}

const exitCodesHelp = `Exit codes: a code that a script does not know means failure.

  0    ok: all that was asked for was done
  1    failed, for another reason than those below
  3    the snapshot is incomplete: a source is missing, or a file could not be
       read; what is there can be restored. Of prune and remove: a store
       refused to remove something
  4    data is damaged: a digest is wrong, an archive is missing, or a database
       is corrupt
  5    a drill failed: a snapshot does not come back as it should
  7    stale: a snapshot, or its last proof, is older than --max-age or
       --max-drill-age allow
  8    refused, and nothing was changed: a target that is not empty, a remote
       that another machine writes to
  10   there is no such store, or it is not the one that is meant
  11   another lifeboat has the local store (--wait waits for it)
  13   there is no such snapshot, or several fit what was written
  14   a remote was not reached, or refused; every other one was tried
  15   there is not enough space
  64   the command line or the configuration cannot be meant; nothing was done
  130  interrupted; nothing is left half-done

When several apply, it is the first of 4, 3, 14. With --json, a failure that
left nothing to report is {"error": {"code", "kind", "message", "next"}}.

   lifeboat backup || test $? -eq 14    a remote that is down is no alarm yet
`

const environmentHelp = `Variables that are read. A flag goes before its variable, and a variable before
the configuration.

  LIFEBOAT_CONFIG, LIFEBOAT_APP, LIFEBOAT_STORE, LIFEBOAT_REMOTE,
  LIFEBOAT_JSON, LIFEBOAT_QUIET, LIFEBOAT_VERBOSE, LIFEBOAT_PROGRESS and so on:
       the flag of the same name
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE,
  AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_CA_BUNDLE,
  AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE and so on:
       as the AWS tools read them
  STATE_DIRECTORY, XDG_STATE_HOME, HOME (Windows: LOCALAPPDATA):
       where local stores are
  XDG_CONFIG_HOME, HOME (Windows: APPDATA):
       where lifeboat.yaml is looked for, after the working directory
  TMPDIR (Windows: TMP):
       where temporary files are
  TERM=dumb:
       no progress bar. There are no colours, so NO_COLOR has nothing to do
  COLUMNS:
       how wide lists may be, where the terminal does not say

   LIFEBOAT_REMOTE=s3://bucket/app lifeboat list
`

// topicNamed returns the topic that the arguments of help name.
func topicNamed(args []string) *topic {
	for i := range topics {
		if len(args) == 1 && args[0] == topics[i].name {
			return &topics[i]
		}
	}
	return nil
}

func topicWords() (list []word) {
	for _, t := range topics {
		list = append(list, word{t.name, t.about})
	}
	return list
}
