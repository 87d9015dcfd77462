/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of one program whose value is a word. */
#ifndef KSERIES_CHOICE_H
#define KSERIES_CHOICE_H

/*
 * Take --@name WORD (or --@name=WORD) out of the arguments, so that
 * scenario_parse() does not meet it. Returns the word's place in @words, which
 * NULL ends, or @fallback without the option; an unknown word bails out.
 */
int choice_take(int *argc, char **argv, const char *name,
		const char * const *words, int fallback);

#endif
