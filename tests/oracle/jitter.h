/*
 * Jitter: threads that now and then let others go first.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A call of the engine takes about a microsecond, so that threads seldom meet
 * in one, and hardly ever on a busy machine.  The program is linked so that
 * some of the engine's own calls (the list is in CMakeLists.txt: its locks and
 * the sets that they protect) pass through here: before each of them, a thread
 * with jitter may give way or fall asleep.
 */
#ifndef MSN_TESTS_ORACLE_JITTER_H
#define MSN_TESTS_ORACLE_JITTER_H

/* This thread has jitter from now on, of a pattern of its own. */
void jitter_start(void);
void jitter_stop(void);

#endif /* MSN_TESTS_ORACLE_JITTER_H */
