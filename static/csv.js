// Cells of a CSV file.

// With an apostrophe before whatever a spreadsheet would run as a formula; csv_export.py says why.
export const defused = (text) => text.replace(/(^|[;\t\r\n])('*[\t\r\n ]*[=+\-@＝＋－＠])/g, "$1'$2");

// RFC 4180, section 2.
export const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
