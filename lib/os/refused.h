/*
 * Calls of newer kernels, or of such as containers forbid, for which there is
 * another way.  The least kernel that has all the others is Linux 4.14.
 */
#ifndef LH_OS_REFUSED_H
#define LH_OS_REFUSED_H

/* Tries each of them without an effect, and calls `say` for those that the
 * system refuses: `call` is its name, `why` the error's text, `instead` what is
 * done. */
void lh_refused_each(void (*say)(void *data, const char *call, const char *why,
                                 const char *instead),
                     void *data);

#endif
