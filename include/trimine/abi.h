/* What the shared library promises to programs that were built with an earlier header. Needs nothing.
 *
 * It exports the functions that are marked TRM_API, and no other. */
#ifndef TRIMINE_ABI_H
#define TRIMINE_ABI_H

#define TRM_API __attribute__((visibility("default")))

#endif
