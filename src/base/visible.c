/* Printable text; see visible.h. */
#include "base/visible.h"

#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TAIL = 0x3F, ESCAPE_BYTES = 4 }; /* bits of a byte that continues a character; "\xNN" */

/* Characters that no terminal should get: ranges, first and last. The joiners U+200C and U+200D are letters
 * of some scripts. */
static const uint32_t hidden[][2] = {
    {0x00, 0x1F},     {0x7F, 0x9F},     {0x061C, 0x061C},   {0x200B, 0x200B},
    {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},   {0xD800, 0xDFFF},
    {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}, {0x110000, UINT32_MAX},
};

/* The character at text and its bytes; 0 bytes where it is no UTF-8. */
static int decode(const unsigned char *text, uint32_t *character)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least; /* a smaller character has a shorter form, the only one allowed */
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (int bytes = 1; bytes <= 4; bytes++) {
        if ((text[0] & forms[bytes - 1].mask) != forms[bytes - 1].lead)
            continue;
        *character = text[0] & (unsigned char)~forms[bytes - 1].mask;
        for (int i = 1; i < bytes; i++) {
            if ((text[i] & ~TAIL) != 0x80) /* the end of the text, too */
                return 0;
            *character = *character << 6 | (text[i] & TAIL);
        }
        return *character >= forms[bytes - 1].least ? bytes : 0;
    }
    return 0;
}

int trm_visible_bytes(const char *text)
{
    uint32_t character = 0;
    const int bytes = decode((const unsigned char *)text, &character);
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (bytes > 0 && character >= hidden[i][0] && character <= hidden[i][1])
            return 0;
    return bytes;
}

void trm_visible(const char *text, char *to, size_t size)
{
    size_t used = 0;
    while (*text != '\0') {
        const int bytes = trm_visible_bytes(text);
        if (used + (size_t)(bytes > 0 ? bytes : ESCAPE_BYTES) >= size)
            break;
        if (bytes > 0)
            memcpy(to + used, text, (size_t)bytes);
        else
            snprintf(to + used, ESCAPE_BYTES + 1, "\\x%02x", (unsigned char)*text);
        used += (size_t)(bytes > 0 ? bytes : ESCAPE_BYTES);
        text += bytes > 0 ? bytes : 1;
    }
    to[used] = '\0';
}

char *trm_visible_format(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    const int64_t room = length < 0 ? -1 : ESCAPE_BYTES * (int64_t)length + 1;
    char *text = trm_alloc(length < 0 ? -1 : length + 1, 1), *shown = trm_alloc(room, 1);
    if (text != NULL && shown != NULL) {
        vsnprintf(text, (size_t)length + 1, format, again);
        trm_visible(text, shown, (size_t)room);
    } else {
        trm_free(shown);
        shown = NULL;
    }
    va_end(again);
    trm_free(text);
    return shown;
}
