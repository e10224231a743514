/*
 * Host file: a file of the host as a mappable.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Coherent with everybody else who reads or writes the file: its pages are the
 * host's page cache, mapped where the host lets us and moved by pread and
 * pwrite where it does not.  The size is asked again at each translation, so a
 * file that somebody shortened gives MSN_MAPPABLE_E_BUS and not a signal.
 *
 * Locks: MSN_RANK_MAPPINGS for who maps it, MSN_RANK_FILE for references.
 */
#ifndef MSN_HOSTFILE_HOSTFILE_H
#define MSN_HOSTFILE_HOSTFILE_H

#include "base/cleanup.h"
#include "mapping/identity.h"
#include "mapping/mappable.h"

#include <stdbool.h>

struct msn_hostfile;

struct msn_hostfile_opts {
	int fd;		  /* taken over, also on failure */
	const char *path; /* shown in maps and saved; copied */
	bool buffered;	  /* never map it: move bytes by read and write */
};

/*
 * Makes a mappable of an open regular file.  -EACCES if it is not open for
 * reading, -ENODEV if it is of a kind that cannot be mapped.  The caller has
 * one reference on the identity.
 */
MSN_MUST_CHECK int msn_hostfile_new(struct msn_hostfile **out,
				    const struct msn_hostfile_opts *opts);

struct msn_mappable *msn_hostfile_mappable(struct msn_hostfile *hf);
struct msn_identity *msn_hostfile_identity(struct msn_hostfile *hf);

/* May shared mappings of it be written (was it opened for writing)? */
bool msn_hostfile_writable(const struct msn_hostfile *hf);

/*
 * Sets the size, and invalidates in the order: size, mappings (private copies
 * too), pages.  0 or -errno.
 */
MSN_MUST_CHECK int msn_hostfile_truncate(struct msn_hostfile *hf,
					 uint64_t size);

/* Opens @path and makes a host file of it.  0 or -errno. */
MSN_MUST_CHECK int msn_hostfile_open(struct msn_hostfile **out,
				     const char *path, bool writable);

#endif /* MSN_HOSTFILE_HOSTFILE_H */
