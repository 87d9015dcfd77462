/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What insns.c needs of QEMU's plugin interface, whose own header is not in
 * every distribution. The declarations are those of docs/devel/tcg-plugins in
 * QEMU's source, the same since 4.2 but for qemu_plugin_insn_data(), which
 * fills a buffer since 9.1.
 */
#ifndef KSERIES_QEMU_PLUGIN_H
#define KSERIES_QEMU_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

typedef __u64 u64;
typedef __u8 u8;

typedef u64 qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

struct qemu_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
};

typedef void (*translated_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_fn)(unsigned int vcpu, void *arg);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   translated_fn fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  executed_fn fn, int flags, void *arg);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    executed_fn fn, int flags,
					    void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
u64 qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t idx);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uintptr_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *buf,
				size_t len);

#endif
