/*
 * The signals of threads that run scripts, and of a daemon.
 *
 * What a script starts by fork(), system() and the like inherits the mask of
 * its thread, and a service that blocks SIGTERM can never be stopped.  So such
 * a thread has the mask of the thread that makes it, but for SIGPIPE and
 * SIGXFSZ: these two come to who writes, and by default end the process.  They
 * are blocked unless the program catches them, and then writing is an error.
 * What is forked there blocks no signal at all.
 */
#ifndef LH_OS_SIGNALS_H
#define LH_OS_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* For the threads that are made from here to the restore, and for scripts that
 * run in this one; `before` is filled in. */
void lh_signals_for_scripts(sigset_t *before);

/* Likewise for threads that run none: nothing reaches them. */
void lh_signals_for_helpers(sigset_t *before);

/* What came to a writer in this thread meanwhile is forgotten. */
void lh_signals_restore(const sigset_t *before);

/* From here on this thread runs scripts, or does not any more. */
void lh_signals_of_forked(bool scripts);

/* What a signal asks a daemon for: SIGTERM and SIGINT; SIGHUP; SIGUSR1. */
enum lh_wish { LH_WISH_NONE, LH_WISH_STOP, LH_WISH_RELOAD, LH_WISH_REOPEN };

/* From now on this runs in whatever thread gets one of these, or SIGPIPE or
 * SIGXFSZ, which ask for nothing: they are caught since children would inherit
 * that they are ignored. */
void lh_signals_catch(void (*on_wish)(enum lh_wish wish));

#endif
