// The list of rooms keeps its numbers.

import { followUnread } from "./unread.js";

followUnread();
