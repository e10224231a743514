/*
 * libmemsnap: hold a program's memory, save it, give it back.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * This header includes all others:
 *
 *    error.h      codes and texts of failures
 *    version.h    which release this is
 *    store.h      a folder of snapshots: open, list, remove
 *    space.h      memory at fixed addresses of this process: map, protect
 *    snapshot.h   save a space; open a snapshot; clone it, any number of times
 *
 * Results.  A function that can fail returns 0 or a negated errno and fills
 * the struct memsnap_error that it was given (NULL: nobody will read it).  On
 * failure out-parameters are untouched and nothing is half done.
 *
 * Options.  Every options struct begins with its size, so that programs and
 * libraries of different age understand each other:
 *
 *    struct memsnap_store_opts o = { .size = sizeof(o), .path = "store" };
 *
 * Members that are not named are zero, and zero is always the default.  A
 * library that is older than the program ignores members that it does not know
 * as long as they are zero, and refuses the call (-E2BIG) when they are not.
 *
 * Units.  Lengths are bytes.  What must be page aligned says so; the page is
 * 4096 bytes.  Strings are UTF-8, end in a zero byte and are copied.
 *
 * Threads.  Stores, spaces and images are independent of each other.  Each
 * header says what may be called at the same time.  Nothing starts threads,
 * handles signals or writes to standard output.
 *
 * Fork.  A store and a space belong to the process that made them: in a forked
 * child every call on them fails with -EPERM, and closing them there only
 * forgets them.  An image that was opened with MEMSNAP_OPEN_EAGER may be used
 * in forked children: open once, fork, clone in each child.  File descriptors
 * are close-on-exec.
 */
#ifndef MEMSNAP_MEMSNAP_H
#define MEMSNAP_MEMSNAP_H

#include <memsnap/error.h>
#include <memsnap/snapshot.h>
#include <memsnap/space.h>
#include <memsnap/store.h>
#include <memsnap/version.h>

#endif /* MEMSNAP_MEMSNAP_H */
