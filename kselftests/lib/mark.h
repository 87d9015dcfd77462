/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks around what is measured: instructions that do nothing, but that the
 * plugin which counts instructions in the exact lane looks for. It counts from
 * the last mark_begin() to the first mark_end(), on all CPUs.
 */
#ifndef KSERIES_MARK_H
#define KSERIES_MARK_H

/* nopl DISPLACEMENT(%rax,%rax), with "ks", then 'b' or 'e', as displacement. */
static inline void mark_begin(void)
{
#ifdef __x86_64__
	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 'k', 's', 'b', 0"
			 : : : "memory");
#endif
}

static inline void mark_end(void)
{
#ifdef __x86_64__
	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 'k', 's', 'e', 0"
			 : : : "memory");
#endif
}

#endif
