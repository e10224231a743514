/*
 * Process maps: the mappings of another process, parsed from procfs.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads /proc/PID/maps, or /proc/PID/smaps, which is the same lines with
 * details after each; of the details only VmFlags is kept.  A process chooses
 * the names of the files that it maps, so the text is untrusted: whatever it
 * holds, the result is either a list that keeps every promise below or an
 * error.
 */
#ifndef MSN_PROCFILE_PROC_MAPS_H
#define MSN_PROCFILE_PROC_MAPS_H

#include "base/cleanup.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* VmFlags of smaps that somebody here asks for. */
enum msn_vm_flag {
	MSN_VM_MAYREAD = 1 << 0,      /* mr */
	MSN_VM_MAYWRITE = 1 << 1,     /* mw */
	MSN_VM_MAYEXEC = 1 << 2,      /* me */
	MSN_VM_GROWSDOWN = 1 << 3,    /* gd */
	MSN_VM_LOCKED = 1 << 4,	      /* lo */
	MSN_VM_IO = 1 << 5,	      /* io */
	MSN_VM_PFNMAP = 1 << 6,	      /* pf */
	MSN_VM_HUGETLB = 1 << 7,      /* ht */
	MSN_VM_LOCKONFAULT = 1 << 8,  /* lf: not shown by every kernel */
	MSN_VM_MAYSHARE = 1 << 9,     /* ms */
	MSN_VM_FLAGS_KNOWN = 1 << 30, /* there was a VmFlags line */
};

struct msn_proc_map {
	struct msn_addr_range addr; /* page aligned, not empty */
	unsigned perms;		    /* enum msn_access */
	bool shared;
	uint64_t offset, inode;
	uint32_t dev_major, dev_minor;
	uint32_t flags; /* enum msn_vm_flag; 0 when only maps was read */
	char *name;	/* as the text shows it, escapes and all; never NULL */
};

/* Ascending by address, disjoint. */
struct msn_proc_maps {
	struct msn_proc_map *list;
	size_t count, cap;
};

/* Longest name: every byte of a mapping's text escaped as \ooo. */
#define MSN_PROC_MAPS_NAME_MAX (4 * 4112)

/*
 * Parses @len bytes of maps or smaps text.  0; -EBADMSG for text that breaks a
 * promise above, -E2BIG past MSN_MAPPING_COUNT_MAX, -ENOMEM.  *@maps is the
 * caller's to deinit, and untouched on failure.
 */
MSN_MUST_CHECK int msn_proc_maps_parse(struct msn_proc_maps *maps,
				       const char *text, size_t len);

/* As above, from a descriptor of maps or smaps, in bounded memory. */
MSN_MUST_CHECK int msn_proc_maps_read(struct msn_proc_maps *maps, int fd);

void msn_proc_maps_deinit(struct msn_proc_maps *maps);

/* The mapping that contains @addr, or NULL. */
const struct msn_proc_map *msn_proc_maps_at(const struct msn_proc_maps *maps,
					    uint64_t addr);

/*
 * Turns the \012 that stands for a newline in a listing back into one, in a
 * new string for free(), or NULL without memory.  A name may hold a literal
 * "\012" as well: which it was only the file system can tell.
 */
MSN_MUST_CHECK char *msn_proc_maps_unescape(const char *name);

/* Does a listing say that the file of this name is no longer there? */
bool msn_proc_maps_deleted(const char *name);

#endif /* MSN_PROCFILE_PROC_MAPS_H */
