/* Numbers as they would be typed; see number.h. */
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 17 }; /* as many always read back */
enum {
    LEAST = -5,
    ZEROS = 6,
    MOST = DIGITS - 1
}; /* exponents of what is written without one; with zeros at its end */

/* How many digits behind the first one are needed. */
static int digits_of(double value, char text[TRM_NUMBER_TEXT])
{
    int digits = 0;
    do {
        snprintf(text, TRM_NUMBER_TEXT, "%.*e", digits, value);
    } while (strtod(text, NULL) != value && ++digits < DIGITS);
    return digits;
}

const char *trm_number_text(double value, char text[TRM_NUMBER_TEXT])
{
    if (!isfinite(value)) {
        snprintf(text, TRM_NUMBER_TEXT, "%g", value);
        return text;
    }
    const int digits = digits_of(value, text);
    char *mark = strchr(text, 'e');
    const int exponent = atoi(mark + 1);
    if (exponent >= LEAST && exponent < (digits < exponent ? ZEROS : MOST))
        snprintf(text, TRM_NUMBER_TEXT, "%.*f", digits > exponent ? digits - exponent : 0, value);
    else
        snprintf(mark, (size_t)(text + TRM_NUMBER_TEXT - mark), "e%d", exponent);
    return text;
}
