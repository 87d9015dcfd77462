// SPDX-License-Identifier: GPL-2.0-only
#include "shim.h"

#include <stdlib.h>
#include <string.h>

/* As many pointers before an array and behind it. No ring under test is longer. */
#define ZONE 80
/* Nor is there anything behind it, as far as the longest ring goes. */
#define NOWHERE ((void *)8)

struct array {
	struct array *next;
	size_t bytes;
	void *fill;
	void *before[ZONE];
	/* the array, then ZONE pointers more */
	void *entries[];
};

static struct array *arrays;
static void *surroundings;
static const char *complaint;
/* What leads nowhere while no lock is held, and where it leads else. */
static void **hidden;
static void *shown;
static int locks;

void shim_surround(void *fill)
{
	surroundings = fill;
}

static void show(void)
{
	if (hidden && !locks)
		*hidden = shown;
}

static void hide(void)
{
	if (!hidden || locks)
		return;
	shown = *hidden;
	*hidden = NOWHERE;
}

void shim_hide(void *pointer)
{
	show();
	hidden = pointer;
	hide();
}

void shim_lock_held(int change)
{
	show();
	locks += change;
	hide();
}

void shim_complain(const char *what)
{
	if (!complaint)
		complaint = what;
}

const char *shim_complaint(void)
{
	const char *first = complaint;

	complaint = NULL;
	return first;
}

int shim_arrays(void)
{
	int count = 0;

	for (struct array *a = arrays; a; a = a->next)
		count++;
	return count;
}

static void **behind(struct array *a)
{
	return a->entries + a->bytes / sizeof(void *);
}

void *shim_alloc(size_t n, size_t size, bool zero)
{
	size_t bytes = n * size;
	struct array *a = malloc(sizeof(*a) + bytes + ZONE * sizeof(void *));

	if (!a)
		return NULL;
	a->bytes = bytes;
	a->fill = surroundings;
	for (int i = 0; i < ZONE; i++) {
		a->before[i] = a->fill;
		behind(a)[i] = a->fill;
	}
	/* Not zeroed means that anything may be in it. */
	memset(a->entries, zero ? 0 : 0xa5, bytes);
	a->next = arrays;
	arrays = a;
	return a->entries;
}

void shim_free(void *array)
{
	struct array **at = &arrays;
	struct array *a;

	if (!array)
		return;
	while (*at && (*at)->entries != array)
		at = &(*at)->next;
	a = *at;
	if (!a) {
		shim_complain("an array is freed that was not there");
		return;
	}
	for (int i = 0; i < ZONE; i++)
		if (a->before[i] != a->fill || behind(a)[i] != a->fill)
			shim_complain("something was written outside of an array");
	*at = a->next;
	free(a);
}
