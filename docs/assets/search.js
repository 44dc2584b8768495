// Search works from file:// too, where browsers refuse workers: a hidden frame does the work. It
// begins when somebody looks at the search field, since it reads an index of a megabyte.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.url = new URL(url, location.href).href;
      this.waiting = [];
      const begin = (event) => {
        if (event.target.closest(".md-search")) {
          document.removeEventListener("focusin", begin);
          this.begin();
        }
      };
      document.addEventListener("focusin", begin);
    }

    begin() {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = this.url;
      script.onload = () => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach((data) => this.postMessage(data));
      };
      inside.document.head.append(script);
    }

    postMessage(data) {
      if (this.waiting) {
        this.waiting.push(data);
        return;
      }
      const inside = this.frame.contentWindow;
      inside.dispatchEvent(new inside.MessageEvent("message", { data }));
    }

    terminate() {
      this.frame?.remove();
    }
  };
}
