/* SPDX-License-Identifier: GPL-2.0-only */
/* What the stand-ins in linux/ rest on: arrays with a zone around them, and complaints. */
#ifndef SHIM_H
#define SHIM_H

#include <stdbool.h>
#include <stddef.h>

/* What is around the arrays to come: NULL, or something that looks like an entry. */
void shim_surround(void *fill);

void *shim_alloc(size_t n, size_t size, bool zero);
void shim_free(void *array);

/*
 * From here on, while no lock is held, this pointer leads nowhere: following it ends the program.
 * NULL puts an end to that.
 */
void shim_hide(void *pointer);
/* A lock is taken (1) or given back (-1). */
void shim_lock_held(int change);

/* How many arrays are there now. */
int shim_arrays(void);

/* Keep the first complaint since the last look. */
void shim_complain(const char *what);
const char *shim_complaint(void);

#endif
