// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>

#include "ktap.h"
#include "trim.h"

void trim_attach(int tun_fd)
{
	/* return skb->len - TRIM_BYTES */
	static const struct bpf_insn prog[] = {
		{
			.code = BPF_LDX | BPF_MEM | BPF_W,
			.dst_reg = BPF_REG_0,
			.src_reg = BPF_REG_1,
			.off = offsetof(struct __sk_buff, len),
		}, {
			.code = BPF_ALU | BPF_SUB | BPF_K,
			.dst_reg = BPF_REG_0,
			.imm = TRIM_BYTES,
		}, {
			.code = BPF_JMP | BPF_EXIT,
		},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insn_cnt = ARRAY_SIZE(prog),
		.insns = (u64)(uintptr_t)prog,
		.license = (u64)(uintptr_t)"GPL",
	};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		ktap_bail("bpf(BPF_PROG_LOAD): %s", strerror(errno));
	if (ioctl(tun_fd, TUNSETFILTEREBPF, &fd))
		ktap_bail("TUNSETFILTEREBPF: %s", strerror(errno));
	/* The device has a reference of its own. */
	close(fd);
}
