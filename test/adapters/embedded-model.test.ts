import { storeModel } from "../contract/model.ts";
import { EMBEDDED_STORE } from "../support/embedded-store.ts";

storeModel(EMBEDDED_STORE);
