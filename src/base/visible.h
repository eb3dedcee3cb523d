/* Text that came from outside (names of files and datasets, attributes, labels) as a terminal may show it.
 *
 * An escape sequence in a file's name must not move the cursor or retitle the window of who reads a message,
 * and a newline must not fake a second message. */
#ifndef TRM_BASE_VISIBLE_H
#define TRM_BASE_VISIBLE_H

#include <stdarg.h>
#include <stddef.h>

/* Copies text into to (size bytes, at least 1), cut to what fits whole. Printable UTF-8 stays; control
 * characters (those of Unicode, too, and what changes the direction of writing) and bytes that are not UTF-8
 * become \xNN. What went through it once is not changed by a second time. Not collective. */
void trm_visible(const char *text, char *to, size_t size);

/* What format makes of args, as trm_visible gives it, whole, in new memory (trm_free); NULL where there is none. Not
 * collective. */
char *trm_visible_format(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* Bytes of the printable UTF-8 character at text, 0 where there is none: the rule of trm_visible. */
int trm_visible_bytes(const char *text);

#endif
