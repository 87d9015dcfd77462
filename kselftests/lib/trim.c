// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>

#include "bpf.h"
#include "trim.h"

void trim_attach(int tun_fd)
{
	/* return skb->len - TRIM_BYTES */
	static const struct bpf_insn insn[] = {
		BPF_INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_1,
			 offsetof(struct __sk_buff, len), 0),
		BPF_INSN(BPF_ALU | BPF_SUB | BPF_K, BPF_REG_0, 0, 0, TRIM_BYTES),
		BPF_RETURN(),
	};

	bpf_filter(tun_fd, insn, ARRAY_SIZE(insn));
}
