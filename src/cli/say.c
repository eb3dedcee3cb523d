/* Lines for people; what names in them hold never reaches a terminal raw. */
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/visible.h"

#include <stdarg.h>
#include <stdio.h>

void trm_say(FILE *stream, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = trm_visible_format(format, args);
    va_end(args);
    if (text != NULL)
        fprintf(stream, "%s\n", text);
    trm_free(text);
}

/* A character of valid UTF-8 as JSON writes it in ASCII. */
static void put_code(FILE *stream, const unsigned char *text, int bytes)
{
    static const unsigned char lead[] = {0x7F, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned code = text[0] & lead[bytes];
    for (int i = 1; i < bytes; i++)
        code = code << 6 | (text[i] & 0x3F);
    if (code >= 0x10000)
        fprintf(stream, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF));
    else
        fprintf(stream, "\\u%04x", code);
}

void trm_say_json(FILE *stream, const char *text)
{
    while (*text != '\0') {
        const int plain = trm_visible_bytes(text);
        const unsigned char first = (unsigned char)*text;
        const int bytes = plain > 0 ? plain : first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        if (plain > 0 || first < ' ') /* a newline is none of a name's: in names it is written as \n */
            fwrite(text, 1, (size_t)bytes, stream);
        else
            put_code(stream, (const unsigned char *)text, bytes);
        text += bytes;
    }
}

trm_voice trm_cli_voice(const trm_cli *cli)
{
    return (trm_voice){.say = trm_cli_say, .context = (void *)(uintptr_t)cli};
}
