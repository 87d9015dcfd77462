// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <string.h>

#include "choice.h"
#include "ktap.h"

static int choice_find(const char *name, const char * const *words,
		       const char *word)
{
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i;
	ktap_bail("--%s does not know %s", name, word);
}

static void arguments_drop(int *argc, char **argv, int at, int n)
{
	int i;

	for (i = at; i + n <= *argc; i++)
		argv[i] = argv[i + n];
	*argc -= n;
}

int choice_take(int *argc, char **argv, const char *name,
		const char * const *words, int fallback)
{
	size_t len = strlen(name);
	int i = 1;

	while (i < *argc) {
		const char *arg = argv[i];

		if (strncmp(arg, "--", 2) || strncmp(arg + 2, name, len)) {
			i++;
		} else if (arg[2 + len] == '=') {
			fallback = choice_find(name, words, arg + 3 + len);
			arguments_drop(argc, argv, i, 1);
		} else if (!arg[2 + len]) {
			if (i + 1 == *argc)
				ktap_bail("--%s needs a word", name);
			fallback = choice_find(name, words, argv[i + 1]);
			arguments_drop(argc, argv, i, 2);
		} else {
			i++;
		}
	}
	return fallback;
}
