// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's emulation that counts the guest's instructions, by
 * block, between two marks that a guest program sets (kselftests/lib/mark.h).
 * The agent sets a third one before it starts a program.
 *
 *	-plugin insns.so,out=FILE[,from=ADDRESS,until=ADDRESS,to=ADDRESS]
 *
 * The agent's mark appends "program" to FILE, each end mark one section of that
 * program: "section", then a line
 * "ADDRESS INSTRUCTIONS" for each kernel block that ran, and "user N" for all
 * that ran outside the kernel; with the addresses "entered N", how often a CPU
 * went from a block between @from and @until to @to. For single-threaded
 * emulation only: there are no locks here.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"

#define EXPORT __attribute__((visibility("default")))

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
EXPORT int qemu_plugin_version = PLUGIN_VERSION;

#define DATA_FILLS_BUFFER 3
#define KERNEL 0x8000000000000000ULL
/* A long no-operation whose displacement is "ksp", "ksb" or "kse" and a zero. */
#define MARK_SIZE 8
static const u8 mark[] = { 0x0f, 0x1f, 0x84, 0x00, 'k', 's' };

struct block {
	struct block *next;
	u64 address;
	u64 insns;
	u64 runs;
};

/* How often a CPU came to @to right from [@from, @until). */
static struct edge {
	u64 from;
	u64 until;
	u64 to;
	u64 entered;
} edge;
#define VCPUS 64
static u64 last_address[VCPUS];

static struct block *blocks;
static struct block user = { .insns = 1 };
static bool counting;
static FILE *out;
static int version;

static void begin(unsigned int vcpu, void *arg)
{
	struct block *b;

	(void)vcpu;
	(void)arg;
	for (b = blocks; b; b = b->next)
		b->runs = 0;
	user.runs = 0;
	edge.entered = 0;
	counting = true;
}

static void end(unsigned int vcpu, void *arg)
{
	struct block *b;

	(void)vcpu;
	(void)arg;
	if (!counting)
		return;
	counting = false;
	fprintf(out, "section\n");
	for (b = blocks; b; b = b->next)
		if (b->runs)
			fprintf(out, "%llx %llu\n",
				(unsigned long long)b->address,
				(unsigned long long)(b->runs * b->insns));
	fprintf(out, "user %llu\n", (unsigned long long)user.runs);
	if (edge.to)
		fprintf(out, "entered %llu\n", (unsigned long long)edge.entered);
	fflush(out);
}

static void next_program(unsigned int vcpu, void *arg)
{
	(void)vcpu;
	(void)arg;
	counting = false;	/* what the one before never ended */
	fprintf(out, "program\n");
}

static void ran(unsigned int vcpu, void *arg)
{
	struct block *b = arg;
	u64 *last = &last_address[vcpu % VCPUS];

	b->runs++;
	if (b->address == edge.to && *last >= edge.from && *last < edge.until)
		edge.entered++;
	*last = b->address;
}

static void ran_user(unsigned int vcpu, void *arg)
{
	(void)vcpu;
	user.runs += (uintptr_t)arg;
}

static void look_for_mark(struct qemu_plugin_insn *insn)
{
	u8 data[MARK_SIZE] = {};
	uintptr_t got;

	if (qemu_plugin_insn_size(insn) != MARK_SIZE)
		return;
	got = qemu_plugin_insn_data(insn, data, sizeof(data));
	if (version < DATA_FILLS_BUFFER)
		memcpy(data, (const void *)got, sizeof(data));
	if (memcmp(data, mark, sizeof(mark)))
		return;
	switch (data[sizeof(mark)]) {
	case 'p':
		qemu_plugin_register_vcpu_insn_exec_cb(insn, next_program, 0, NULL);
		break;
	case 'b':
		qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, 0, NULL);
		break;
	case 'e':
		qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, NULL);
		break;
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	u64 address = qemu_plugin_tb_vaddr(tb);
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct block *b;

	(void)id;
	if (!(address & KERNEL)) {
		for (i = 0; i < n; i++)
			look_for_mark(qemu_plugin_tb_get_insn(tb, i));
		qemu_plugin_register_vcpu_tb_exec_cb(tb, ran_user, 0,
						     (void *)(uintptr_t)n);
		return;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->address = address;
	b->insns = n;
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, b);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
			       const struct qemu_info *info, int argc,
			       char **argv)
{
	const struct {
		const char *name;
		u64 *value;
	} addresses[] = {
		{ "from=", &edge.from },
		{ "until=", &edge.until },
		{ "to=", &edge.to },
		{}
	}, *at;

	if (argc < 1 || strncmp(argv[0], "out=", 4))
		return -1;
	while (--argc) {
		for (at = addresses; at->name; at++)
			if (!strncmp(argv[argc], at->name, strlen(at->name)))
				break;
		if (!at->name)
			return -1;
		*at->value = strtoull(argv[argc] + strlen(at->name), NULL, 0);
	}
	out = fopen(argv[0] + 4, "we");
	if (!out)
		return -1;
	version = info->version.cur;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
