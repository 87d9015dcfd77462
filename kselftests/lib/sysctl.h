/* SPDX-License-Identifier: GPL-2.0-only */
/* A setting of the whole machine, changed for a while. */
#ifndef KSERIES_SYSCTL_H
#define KSERIES_SYSCTL_H

#include "types.h"

struct sysctl {
	const char *path;
	int fd;
	char usual[32];
	size_t len;
	struct sysctl *next;
};

/*
 * Before netns_enter(): only the first netns has it. The end of the program, in
 * any way, sets it back; until then @s must be there: not in main()'s frame.
 */
void sysctl_open(struct sysctl *s, const char *path);
void sysctl_set(struct sysctl *s, const char *value);
void sysctl_set_back(struct sysctl *s);
void sysctl_close(struct sysctl *s);

#endif
