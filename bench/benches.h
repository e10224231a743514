/*
 * The benches there are.  To add one: a file, a line here, a row in main.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BENCH_BENCHES_H
#define MSN_BENCH_BENCHES_H

#include "bench.h"

void bench_save(const struct bench_opts *o);
void bench_restore(const struct bench_opts *o);
void bench_clone(const struct bench_opts *o);
void bench_capture(const struct bench_opts *o);
void bench_hostfile(const struct bench_opts *o);
void bench_mm(const struct bench_opts *o);
void bench_mapping_set(const struct bench_opts *o);
void bench_notes(const struct bench_opts *o);

#endif /* MSN_BENCH_BENCHES_H */
