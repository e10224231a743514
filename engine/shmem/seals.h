/*
 * Seals and memfd flags that the C library's headers may not have yet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_SHMEM_SEALS_H
#define MSN_SHMEM_SEALS_H

#include <fcntl.h>
#include <sys/mman.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x10
#endif

#endif /* MSN_SHMEM_SEALS_H */
